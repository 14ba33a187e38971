"""Patterns made ready for the engine: Vectorscan's compiler, which is loaded when the first sensor comes.

vectorscan  sensors → a database for each part

In: sensors. Out: bytes that the engine loads; UsageError for a regex that the library does not take. May import model, errors.
"""
