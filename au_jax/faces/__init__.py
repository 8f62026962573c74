"""From pictures of faces to registered faces."""
