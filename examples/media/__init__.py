"""A photo pipeline: every picture in several sizes, a collage of all when the last one is done."""
