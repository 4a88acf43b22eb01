"""Stand-ins for slow parts, importable on Ray workers. Production code never imports them."""
