"""The report of a run: pictures of what was found and learned, and one HTML page that needs nothing but itself."""
