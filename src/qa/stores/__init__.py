"""Where passages live."""
