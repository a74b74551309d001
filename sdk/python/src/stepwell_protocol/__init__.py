"""The wire between engine and app: types, signatures and the small pooled HTTP client both sides share."""
