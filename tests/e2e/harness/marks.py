"""Parametrisations that several topics share."""
import pytest

from .postgres import VERSIONS

both_versions = pytest.mark.parametrize("pg", VERSIONS, indirect=True)
