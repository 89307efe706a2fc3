"""What containers do once they are scheduled, by the image that they run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageBehaviour:
    """How pods behave whose first container's image matches `pattern`; the first match of the cluster's list decides.

    Attributes:
        pattern: A glob over the whole image reference: `*:bad-*`.
        start_seconds: From the pod's creation to its being ready, or to its failing.
        pull_error: The image cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
        crash: The container starts and exits with an error: `CrashLoopBackOff`.
    """

    pattern: str
    start_seconds: float = 2.0
    pull_error: bool = False
    crash: bool = False
