"""Support for tests of several areas."""
