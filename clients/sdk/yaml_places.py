"""Where in a YAML file something stands, which its values no longer know."""

from collections.abc import Iterator, Sequence

import yaml


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """The line of what a path of keys and numbers leads to, or of the last part of it that is there; from 1.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        return None
    line = node.start_mark.line
    for part in location:
        step = _step(node, part)
        if step is None:
            break
        line, node = step
    return int(line) + 1


def _step(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


def repeated_keys(text: str) -> Iterator[tuple[int, str]]:
    """Keys that a mapping has twice, with their lines: of two values YAML's readers take the last without a word.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    seen: set[int] = set()
    waiting = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias leads to a node that stands elsewhere
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    yield key.start_mark.line + 1, key.value
                keys.add(str(key.value))
                waiting.append(value)
