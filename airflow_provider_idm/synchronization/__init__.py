"""The way of the data: export, prepare, exchange, synchronize."""
