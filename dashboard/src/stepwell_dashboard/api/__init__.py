"""The routes, one file a noun. They read the request, ask the journal, and shape the answer; nothing is decided here."""
