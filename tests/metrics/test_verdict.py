"""The verdict on made rows whose counts are known."""

from math import nan

import pytest

from pipeline.metrics.case_scores import summarise, tables_of
from pipeline.metrics.case_scores import score_masks as scores_of
from pipeline.metrics.verdict import verdict
from tests.metrics.masks import *  # noqa: F403
