from tests.phantom.conftest import ball_brain

__all__ = ["ball_brain"]
