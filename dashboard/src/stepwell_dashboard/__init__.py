"""What people look at: the JSON API, the live stream and the page. Reads and acts through the engine only."""
