"""Schema migrations: one head, upwards on data, on both databases."""
