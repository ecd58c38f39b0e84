"""The compiled core, built where there is a C compiler; everything else is in setup.cfg.

STICKYD_NATIVE=0 builds none.
"""

import os
import runpy

from setuptools import Extension, setup

SOURCES = runpy.run_path("stickyd/core/sources.py")


def extensions() -> list[Extension]:
    """The compiled core, unless it is switched off."""
    if os.environ.get("STICKYD_NATIVE") == "0":
        return []
    from Cython.Build import cythonize

    modules = [
        Extension(
            f"stickyd.core.{path.stem}",
            [os.path.relpath(path)],
            include_dirs=["stickyd/core"],
            depends=[os.path.relpath(path) for path in SOURCES["files"]()],
            define_macros=[("STICKYD_SOURCES", f'"{SOURCES["digest"]()}"')],
            extra_compile_args=["-g0"],
        )
        for path in SOURCES["files"]()
        if path.suffix == ".pyx"
    ]
    # The C that is generated stays out of the source tree, and out of the sdist.
    built: list[Extension] = cythonize(modules, build_dir="build/cython")
    for extension in built:
        # cythonize makes extensions anew, and does not take this along.
        extension.optional = True
    return built


setup(ext_modules=extensions())
