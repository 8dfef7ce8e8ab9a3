"""How the shipped selector and its confidence were made."""
