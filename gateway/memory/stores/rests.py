"""What a reflection rests on: with any of it the reflection leaves. Pure; knows no store."""

from gateway.memory.reflections import Reflection


def rests_on(reflection: Reflection) -> set[str]:
    """Its turns, the memories of its images, and the turns that those rest on: an image repeats what they said."""
    images = (*reflection.before, *reflection.after)
    return {*reflection.turns, *(id for memory in images for id in (memory.id, *memory.sources))}
