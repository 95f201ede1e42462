"""Servers that people would pick instead, each as its documentation tells, with the same model."""
