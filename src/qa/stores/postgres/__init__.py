"""The distributed store: generations in PostgreSQL, vectors searched by pgvector."""
