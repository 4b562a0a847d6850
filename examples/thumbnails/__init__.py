"""A product catalogue whose thumbnails are made by durable jobs."""
