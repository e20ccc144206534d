"""Describes and compares SavedModels from their files alone: never imports TensorFlow."""
