"""Trainers, what they show and keep, and the callbacks that they call."""
