"""The page in which nets draw, in headless Chromium: it draws what MXNet does, and is used."""
import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data import own
from tests.drawing import RandomNet, pictures
from training.evaluation import metrics
from training.reporting import explorer

browser = pytest.importorskip('tests.test_browser')
By, Keys, ui, load = browser.By, browser.Keys, browser.ui, browser.load
pytestmark = browser.pytestmark
driver = browser.driver
ROUNDED = 2  # of 255: what 16-bit floats may change of a pixel
N_LATENTS, N_PICTURES = 60, 20


@pytest.fixture(scope='module')
def groups() -> list[tuple[list[RandomNet], explorer.Group]]:
    """Nets by group, in the order of the page."""
    made = []
    for title, families in {'digits': ['dense', 'dense'], 'faces': ['published', 'repaired'],
                            'samples': ['gan'], 'A': ['A'], 'paper': ['paper']}.items():
        nets = [RandomNet(family, seed) for seed, family in enumerate(families)]
        held_out = pictures(nets[0].shape, N_PICTURES)
        shown = [net.in_page(held_out, title=f'net {i}') for i, net in enumerate(nets)]
        if title == 'digits':
            shown.append(replace(shown[1], encoder=None, title='net 2',
                                 absent='its encoder is not in this page'))
            nets.append(nets[1])
        made.append((nets, explorer.Group(title, nets[0].shape, nets[0].row.n_latent,
                                          None if title == 'samples' else held_out, shown)))
    return made


@pytest.fixture(scope='module')
def url(groups, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('explorer') / 'explorer.html'
    explorer.write(path, [group for _, group in groups])
    return path.as_uri()


@pytest.fixture
def opened(driver, url):
    """The page with its nets unpacked."""
    driver.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
    driver.set_window_size(1440, 900)
    driver.set_script_timeout(60)
    load(driver, url)
    says(driver, 'The nets are ready.')
    settled(driver)
    return driver


def says(driver, text: str, where: str = 'status') -> None:
    ui.WebDriverWait(driver, 60).until(
        lambda d: text in d.find_element(By.ID, where).get_attribute('textContent'))


def settled(driver) -> None:
    ui.WebDriverWait(driver, 60).until(lambda d: d.execute_script('return !drawing && !again'))


def choose(driver, group: str) -> None:
    ui.Select(driver.find_element(By.CSS_SELECTOR, '#choice select')).select_by_visible_text(group)
    settled(driver)


ASK = """
    const [place, texts, done] = arguments;
    const read = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const write = array => btoa(Array.from(new Uint8Array(array.slice().buffer),
                                           byte => String.fromCharCode(byte)).join(''));
    const draw = async z => {
      const drawn = await ask('draw', { latents: [...Array(place), z] });
      return write(drawn[place].pixels);
    };
    const encode = async pixels => {
      const { mean, logvar } = await ask('encode', { net: place, pixels });
      return [write(mean), write(logvar), await draw(mean)];
    };
"""


def drawn_in_browser(driver, place: int, z: np.ndarray) -> np.ndarray:
    """What a net draws of latents (n, z), in rows (n, values)."""
    found = driver.execute_async_script(ASK + """
        Promise.all(texts.map(text => draw(new Float32Array(read(text).buffer)))).then(done);
        """, place, [as_text(one.astype('<f4')) for one in z])
    return np.stack([as_array(text, np.uint8) for text in found])


def encoded_in_browser(driver, place: int, seen: np.ndarray) -> list[np.ndarray]:
    """Mean, log variance and what is drawn of the mean, of pictures (n, h, w, c) uint8."""
    found = driver.execute_async_script(ASK + """
        Promise.all(texts.map(text => encode(read(text)))).then(done);
        """, place, [as_text(one) for one in seen])
    return [np.stack([as_array(text, kind) for text in texts])
            for texts, kind in zip(zip(*found, strict=True), ('<f4', '<f4', np.uint8),
                                   strict=True)]


def as_text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def as_array(text: str, kind) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def shown(driver, figure: int) -> np.ndarray:
    """The pixels (h, w, 3) of a figure."""
    values = driver.execute_script("""
        const canvas = document.querySelectorAll('#figures canvas')[arguments[0]];
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.height, canvas.width, ...data];""", figure)
    return np.array(values[2:]).reshape(values[0], values[1], 4)[:, :, :3]


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


def places(groups) -> list[tuple[int, RandomNet, explorer.Net]]:
    """Each net's place in the page, as it is in MXNet and in the page."""
    pairs = [pair for nets, group in groups for pair in zip(nets, group.nets, strict=True)]
    return [(place, *pair) for place, pair in enumerate(pairs)]


def test_browser_draws_random_latents_as_mxnet_does(opened, groups):
    for place, net, _ in places(groups):
        z = np.random.default_rng(place).normal(size=(N_LATENTS, net.row.n_latent))
        wanted = net.decode(z.astype(np.float32)).reshape(N_LATENTS, -1)
        assert apart(drawn_in_browser(opened, place, z), wanted) <= ROUNDED


def test_browser_encodes_pictures_as_mxnet_does(opened, groups):
    with_encoder = [(place, net) for place, net, in_page in places(groups) if in_page.encoder]
    assert len(with_encoder) == 6
    for place, net in with_encoder:
        seen = pictures(net.shape, N_PICTURES)
        *codes, again = encoded_in_browser(opened, place, seen)
        for found, wanted in zip(codes, net.encode(seen), strict=True):
            assert found == pytest.approx(wanted, abs=0.01 * np.abs(wanted).max())
        assert apart(again, net.decode(codes[0]).reshape(N_PICTURES, -1)) <= ROUNDED


def test_a_held_out_picture_is_drawn_again_and_measured(opened, groups):
    (first, *_), group = groups[0]
    opened.find_elements(By.CSS_SELECTOR, '#thumbnails input')[7].click()
    settled(opened)
    original = group.originals[7]
    assert apart(shown(opened, 0), original.repeat(3, 2)) == 0
    drawn = first.decode(group.nets[0].mean[7:8])[0]
    assert apart(shown(opened, 1), drawn.repeat(3, 2)) <= ROUNDED
    kl, error, psnr, sharpness = (float(cell.text) for cell in opened.find_elements(
        By.CSS_SELECTOR, '#figures figure:nth-child(2) dd'))
    code = group.nets[0].mean[7:8], group.nets[0].logvar[7:8]
    assert kl == pytest.approx(metrics.kl_per_latent(*code).sum(), abs=0.06)
    wanted = metrics.mean_squared_error(drawn / 255, original / 255)
    assert error == pytest.approx(wanted, abs=1e-3)
    assert psnr == pytest.approx(-10 * np.log10(wanted), abs=0.1)
    assert sharpness == pytest.approx(metrics.relative(
        metrics.edge_sharpness, drawn[None], original[None]), abs=0.011)


def test_a_moved_latent_is_drawn_by_all_nets(opened, groups):
    nets, group = groups[0]
    opened.find_element(By.ID, 'mean').click()
    slider = opened.find_element(By.CSS_SELECTOR, '#sliders input')
    latent = int(opened.find_element(By.CSS_SELECTOR, '#sliders label').text.split()[1])
    before = float(slider.get_attribute('value'))
    slider.send_keys(Keys.ARROW_RIGHT * 50)
    settled(opened)
    value = float(slider.get_attribute('value'))
    assert value > before + 0.3
    sign = '−' if value < 0 else '+'
    assert slider.get_attribute('aria-valuetext').startswith(f'{sign}{abs(value):.2f}, spread ')
    for i, net in enumerate(nets):
        z = group.nets[i].mean[:1].copy()
        z[0, latent] += value - group.nets[0].mean[0, latent]
        assert apart(shown(opened, i + 1), net.decode(z)[0].repeat(3, 2)) <= ROUNDED
    opened.find_element(By.ID, 'mean').click()
    settled(opened)
    assert apart(shown(opened, 1),
                 nets[0].decode(group.nets[0].mean[:1])[0].repeat(3, 2)) <= ROUNDED


def test_a_sample_is_one_latent_for_all_nets(opened, groups):
    nets, _ = groups[0]
    opened.find_element(By.ID, 'sample').click()
    settled(opened)
    z = np.array(opened.execute_script('return [...state.base.z]'), np.float32)[None]
    for i, net in enumerate(nets):
        assert apart(shown(opened, i + 1), net.decode(z)[0].repeat(3, 2)) <= ROUNDED
    assert '–' in opened.find_element(By.CSS_SELECTOR, '#figures dd').text  # there is no original
    opened.find_element(By.ID, 'mean').click()
    settled(opened)
    assert apart(shown(opened, 1), nets[0].decode(0 * z)[0].repeat(3, 2)) <= ROUNDED


def test_a_walk_leads_from_one_picture_to_another(opened, groups):
    nets, group = groups[0]
    ui.Select(opened.find_element(By.NAME, 'last')).select_by_visible_text('picture 4')
    part = opened.find_element(By.NAME, 'part')
    part.send_keys(Keys.ARROW_RIGHT * 50)
    settled(opened)
    assert part.get_attribute('aria-valuetext') == '50 % of the way from picture 1 to picture 4'
    z = (group.nets[0].mean[:1] + group.nets[0].mean[3:4]) / 2
    assert apart(shown(opened, 1), nets[0].decode(z)[0].repeat(3, 2)) <= ROUNDED
    play = opened.find_element(By.ID, 'play')
    play.click()
    assert play.text == 'Stop'
    ui.WebDriverWait(opened, 30).until(lambda d: play.text == 'Play')
    settled(opened)
    assert part.get_attribute('value') == '100'
    assert apart(shown(opened, 0), group.originals[3].repeat(3, 2)) == 0


def give(driver, path) -> None:
    driver.find_element(By.NAME, 'file').send_keys(str(path))


@pytest.mark.parametrize('group', ['digits', 'faces'])
@pytest.mark.parametrize('kind', ['transparent.png', 'turned.jpg', 'small.png'])
def test_own_picture_is_seen_as_by_reconstruct(opened, groups, tmp_path, group, kind):
    pixels = 64 + pictures((4, 120, 200), 1)[0] // 2  # so that the scaling clips nothing
    size = {'small.png': (17, 40)}.get(kind, (201, 120))
    image = Image.fromarray(pixels, 'RGBA' if kind == 'transparent.png' else None)
    image = image.resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by a quarter
    path = tmp_path / kind
    if kind == 'turned.jpg':
        image.convert('RGB').save(path, quality=97, exif=exif, subsampling=0)
    else:
        image.convert('RGBA' if kind == 'transparent.png' else 'RGB').save(path)
    choose(opened, group)
    give(opened, path)
    says(opened, f'{kind}: ', 'answer')
    says(opened, 'cut to a square', 'answer')
    settled(opened)
    (nets, in_page), = (pair for pair in groups if pair[1].title == group)
    _, wanted, _ = own.read([path], in_page.shape)
    found = np.array(opened.execute_script('return [...state.group.own.pixels]'))
    assert apart(found, wanted.reshape(-1)) <= 1
    mean, _ = nets[0].encode(found.reshape(wanted.shape).astype(np.uint8))
    drawn = nets[0].decode(mean)[0]
    assert apart(shown(opened, 1), drawn.repeat(3 // drawn.shape[2], 2)) <= 2 * ROUNDED
    figures = opened.find_elements(By.CSS_SELECTOR, '#figures figure')
    if group == 'digits':
        assert 'its encoder is not in this page' in figures[-1].text
        assert 'net 2 draws none' in opened.find_element(By.ID, 'fits').text


def test_large_picture_is_answered(opened, tmp_path):
    path = tmp_path / 'large.jpg'
    Image.fromarray(pictures((3, 912, 1368), 1)[0]).resize((5472, 3648)).save(path)
    give(opened, path)
    says(opened, 'large.jpg: 5472 x 3648 pixels, cut to a square and scaled to 28 x 28.', 'answer')
    settled(opened)
    assert 'your picture' in opened.find_element(By.CSS_SELECTOR, '#figures figure').text


@pytest.mark.parametrize('name, content, answer', [
    ('words.png', b'no picture', 'not a picture that this browser can read'),
    ('empty.jpg', b'', 'not a picture that this browser can read'),
    ('tiny.png', None, '3 x 200 pixels, expected 16 or more a side')])
def test_bad_picture_is_answered_and_nothing_changes(opened, tmp_path, name, content, answer):
    if content is None:
        content = io.BytesIO()
        Image.new('RGB', (3, 200)).save(content, 'PNG')
        content = content.getvalue()
    (tmp_path / name).write_bytes(content)
    before = shown(opened, 1)
    give(opened, tmp_path / name)
    says(opened, f'{name}: {answer}.', 'answer')
    settled(opened)
    assert apart(shown(opened, 1), before) == 0
    assert opened.get_log('browser') == []


def test_plain_gan_has_samples_only(opened):
    choose(opened, 'samples')
    assert not opened.find_element(By.ID, 'pictures').is_displayed()
    assert not opened.find_element(By.ID, 'walk').is_displayed()
    assert not opened.find_element(By.NAME, 'file').is_enabled()
    assert len(opened.find_elements(By.CSS_SELECTOR, '#figures figure')) == 1
    assert shown(opened, 0).std() > 1


@pytest.mark.parametrize('width', [360, 1440])
@pytest.mark.parametrize('group', ['digits', 'faces', 'samples'])
def test_page_fits_and_says_nothing_on_the_console(opened, width, group):
    opened.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
        'width': width, 'height': 800, 'deviceScaleFactor': 1, 'mobile': width < 500})
    choose(opened, group)
    opened.find_element(By.ID, 'sample').click()
    settled(opened)
    assert opened.execute_script('return document.documentElement.scrollWidth') <= width
    assert opened.get_log('browser') == []


def test_nothing_jumps_while_one_plays(opened):
    top = "return document.getElementById('latents').getBoundingClientRect().top + scrollY"
    opened.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
        'width': 360, 'height': 800, 'deviceScaleFactor': 1, 'mobile': True})
    before = opened.execute_script(top)
    for button in ('sample', 'mean', 'sample'):
        opened.find_element(By.ID, button).click()
        settled(opened)
        assert opened.execute_script(top) == before


def test_everything_has_a_name_for_those_who_do_not_see_it(opened):
    for tag in ('select', 'input', 'button', '#figures canvas'):
        for found in opened.find_elements(By.CSS_SELECTOR, tag):
            if found.is_displayed() or tag == 'input':
                assert found.accessible_name, found.get_attribute('outerHTML')
    for slider in opened.find_elements(By.CSS_SELECTOR, '[type=range]'):
        assert slider.get_attribute('aria-valuetext')
    for name in ('status', 'answer'):
        told = opened.find_element(By.ID, name)
        assert [told.get_attribute(of) for of in ('role', 'aria-live')] == ['status', 'polite']


def test_what_is_seen_is_saved(opened, tmp_path):
    opened.execute_cdp_cmd('Browser.setDownloadBehavior', {'behavior': 'allow',
                                                           'downloadPath': str(tmp_path)})
    opened.find_element(By.ID, 'save').click()
    says(opened, 'Saved as drawn.png')
    ui.WebDriverWait(opened, 20).until(lambda d: (tmp_path / 'drawn.png').exists())
    with Image.open(tmp_path / 'drawn.png') as image:
        assert image.size == (4 * (280 + 8) + 8, 280 + 8 + 28)
        pixels = np.asarray(image.convert('RGB'))
    assert apart(pixels[8:288:10, 8:288:10], shown(opened, 0)) == 0
