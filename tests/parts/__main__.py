"""Make what the tests stand on and takes long: `python -m tests.parts`, called by scripts/test-parts."""

from __future__ import annotations

import time

from tests.parts import images, mariadb, mysql, roots


def main() -> None:
    for what, make in (
        ("Debian and MySQL root file systems", roots.make),
        ("MariaDB data folder", mariadb.data_folder),
        ("MySQL data folder", mysql.data_folder),
        ("saved images", images.saved_images),
    ):
        began = time.monotonic()
        make()
        print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
