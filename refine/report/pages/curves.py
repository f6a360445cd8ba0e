"""What training curves show, in short words."""

FLAG_WORDS = {
    "overfitting": "overfits",
    "unsteady": "unsteady end",
    "improving": "still improving",
    "saturated": "saturated early",
    "rising": "loss rises",
}
