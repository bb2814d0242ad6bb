"""Time to draw again in a browser, from a moved latent to painted pictures: by group of a page.

    python -m tests.benchmarks.explorer [results/explorer.html]

In headless Chromium (see tests/requirements-browser.txt). Each of 30 moves is drawn by all nets of
a group; medians, the fastest and the slowest are printed, and how long the page takes to open.
"""
import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.test_browser import CHROMIUM, DRIVER, QUIET

MOVES = 30
READY = 'return document.getElementById("status").textContent === "The nets are ready."'
TIMED = """
    const [group, moves, done] = arguments;
    (async () => {
      choose(groups[group]);
      while (drawing || again) await new Promise(resolve => setTimeout(resolve, 10));
      const times = [];
      for (let i = 0; i < moves; i++) {
        state.shift[state.lead.sliders[0].latent] = Math.sin(i);
        const started = performance.now();
        await redraw();
        times.push(performance.now() - started);
      }
      done([state.group.title, state.group.nets.length, times]);
    })();
"""


def main() -> None:
    """Print the times of the page that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('page', metavar='FILE', type=Path, nargs='?',
                        default=Path('results/explorer.html'))
    page = parser.parse_args().page
    if not page.is_file() or not CHROMIUM or not DRIVER:
        raise SystemExit(f'needed: {page}, chromium and chromedriver')
    profile = tempfile.mkdtemp()
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, f'--user-data-dir={profile}'):
        options.add_argument(argument)
    try:
        with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
            report(driver, page)
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def report(driver, page: Path) -> None:
    """Open a page, draw again and again, and print how long that took."""
    driver.set_script_timeout(300)
    started = time.perf_counter()
    driver.get(page.resolve().as_uri())
    WebDriverWait(driver, 120, 0.05).until(lambda d: d.execute_script(READY))
    print(f'opened in {time.perf_counter() - started:.1f} s, {page.stat().st_size / 1e6:.1f} MB')
    total = 0
    for group in range(driver.execute_script('return groups.length')):
        title, n_nets, times = driver.execute_async_script(TIMED, group, MOVES)
        total += median(times)
        print(f'{title}: {n_nets} nets in {median(times):.1f} ms '
              f'({min(times):.1f} to {max(times):.1f})')
    print(f'all nets: {total:.1f} ms')


if __name__ == '__main__':
    main()
