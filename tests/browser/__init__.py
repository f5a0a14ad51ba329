"""Tests in a real browser. A package, so that its browser is closed before other tests run: while Playwright is up,
its event loop keeps everything else in the process from running one."""
