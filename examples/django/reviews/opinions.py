"""The reviews. Write one for Dracula and save."""

OPINIONS: dict[str, list[str]] = {
    "emma": ["Everybody is wrong about everybody, delightfully."],
    "moby-dick": ["I came for the whale and stayed for the rope.", "Call me back when they reach land."],
}
