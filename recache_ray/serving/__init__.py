"""Pictures on demand at a budget that each request names: what the demo page and the server share, without either."""
