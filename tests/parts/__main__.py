"""Make what the tests stand on and takes long: `python -m tests.parts`, called by scripts/test-parts."""

from __future__ import annotations

import time

from tests.parts import foreign_kinds, go_programs, images, kubernetes_programs, mariadb, mysql, roots


def main() -> None:
    for what, make in (
        ("Debian, MySQL and Docker root file systems", roots.make),
        ("MariaDB data folder", mariadb.data_folder),
        ("MySQL data folder", mysql.data_folder),
        ("saved images", images.saved_images),
        ("programs in Go", go_programs.make),
        ("Kubernetes", kubernetes_programs.make),
        ("kinds of other projects", foreign_kinds.make),
    ):
        began = time.monotonic()
        make()
        print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
