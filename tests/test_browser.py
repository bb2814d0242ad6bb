"""The page of all runs in headless Chromium, if that is here (see requirements-browser.txt)."""
import shutil
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.test_page import page_of_results
from training.studies import compared

webdriver = pytest.importorskip('selenium.webdriver')
By = pytest.importorskip('selenium.webdriver.common.by').By
Keys = pytest.importorskip('selenium.webdriver.common.keys').Keys
actions = pytest.importorskip('selenium.webdriver.common.actions.action_builder')
ui = pytest.importorskip('selenium.webdriver.support.ui')
CHROMIUM, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (CHROMIUM and DRIVER),
                                                   reason='no chromium and chromedriver')]
QUIET = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync')


@pytest.fixture(scope='module')
def url(tmp_path_factory) -> str:
    return page_of_results(tmp_path_factory.mktemp('page')).as_uri()


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, f'--user-data-dir={tmp_path_factory.mktemp("profile")}'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as found:
        yield found


def load(driver, url: str) -> None:
    """Open the page, to its end: `get` may return while Chromium still reads it."""
    driver.get(url)
    ui.WebDriverWait(driver, 60).until(
        lambda d: d.execute_script('return document.readyState') == 'complete')


@pytest.fixture
def opened(driver, url):
    """The page in a desktop's window, as it loads."""
    driver.set_window_size(1440, 900)
    load(driver, url)
    return driver


def visible(driver) -> list:
    return [card for card in driver.find_elements(By.TAG_NAME, 'article') if card.is_displayed()]


def chosen(driver, form: str, name: str) -> ui.Select:
    return ui.Select(driver.find_element(By.CSS_SELECTOR, f'#{form} select[name={name}]'))


@pytest.mark.parametrize('width', [360, 1440])
def test_page_loads_whole_without_errors(driver, url, width):
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
        'width': width, 'height': 800, 'deviceScaleFactor': 1, 'mobile': width < 500})
    load(driver, url)
    driver.execute_script(
        "document.querySelectorAll('details').forEach(d => d.open = true);"
        "document.querySelectorAll('img').forEach(i => i.loading = 'eager');")
    ui.WebDriverWait(driver, 60).until(lambda d: d.execute_script(
        "return [...document.images].every(i => i.complete)"))
    broken = driver.execute_script(
        "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
    assert broken == [] and len(driver.find_elements(By.TAG_NAME, 'img')) > 60
    assert driver.execute_script('return document.documentElement.scrollWidth') <= width
    assert driver.get_log('browser') == []
    driver.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def test_filters_show_what_was_asked_for(opened):
    everything = len(visible(opened))
    chosen(opened, 'filters', 'data').select_by_visible_text('MNIST')
    cards = visible(opened)
    assert 0 < len(cards) < everything
    assert {card.get_attribute('data-data') for card in cards} == {'MNIST'}
    count = opened.find_element(By.ID, 'count')
    assert count.text == f'{len(cards)} runs'
    chosen(opened, 'filters', 'net').select_by_visible_text('DenseVAE')
    assert {card.get_attribute('data-net') for card in visible(opened)} == {'DenseVAE'}
    opened.find_element(By.CSS_SELECTOR, '#filters button').click()
    ui.WebDriverWait(opened, 5).until(lambda d: len(visible(d)) == everything)
    assert count.text == f'{everything} runs'
    chosen(opened, 'filters', 'study').select_by_visible_text('Faces: nets')
    assert len(visible(opened)) == 6


def test_two_runs_of_a_study_are_compared_by_a_slider(opened):
    title = 'Faces: weight of the discriminator'
    chosen(opened, 'comparison', 'among').select_by_visible_text(title)
    left, right = (chosen(opened, 'comparison', side) for side in ('left', 'right'))
    names = compared()[title]
    assert [option.get_attribute('value') for option in right.options] == names
    assert right.first_selected_option.text.startswith('ConvVAE + ResNet 512_32_200_50_1: 16 ')
    assert [select.first_selected_option.get_attribute('value') for select in (left, right)] == [
        names[0], names[-1]]
    pictures = opened.find_elements(By.CSS_SELECTOR, '.compare img')
    assert '_16_50_1_' in pictures[1].get_attribute('src')
    assert_not_distorted(opened)
    assert pictures[0].get_attribute('src') != pictures[1].get_attribute('src')
    divider = opened.find_element(By.ID, 'divider')
    before = pictures[1].value_of_css_property('clip-path')
    divider.send_keys(Keys.ARROW_RIGHT * 10)
    assert before.endswith('50%)')
    assert pictures[1].value_of_css_property('clip-path').endswith('60%)')


def assert_not_distorted(driver) -> None:
    ui.WebDriverWait(driver, 5).until(lambda d: d.execute_script(
        "return [...document.querySelectorAll('.compare img')].every(i => i.naturalWidth)"))
    for own, shown in driver.execute_script(
            "return [...document.querySelectorAll('.compare img')].map("
            "i => [i.naturalWidth / i.naturalHeight, i.clientWidth / i.clientHeight])"):
        assert shown == pytest.approx(own, rel=0.02)


def assert_nothing_of_the_other_side(driver) -> None:
    """Left of the divider no point shows the right picture, and the other way round."""
    found = driver.execute_script("""
        const box = document.querySelector('.compare').getBoundingClientRect();
        window.scrollBy(0, box.top - 50);
        const top = document.querySelector('.compare').getBoundingClientRect().top;
        const [left, right] = document.querySelectorAll('.compare img');
        return [[0.25, right], [0.75, left]].flatMap(([across, other]) => [0.2, 0.8].map(down =>
          document.elementsFromPoint(box.left + across * box.width, top + down * box.height)
            .includes(other)));""")
    assert found == [False] * 4


def test_strips_of_different_heights_keep_their_shape(opened):
    """A plain GAN's has one line of pictures."""
    chosen(opened, 'comparison', 'among').select_by_visible_text('Faces: nets')
    for side in ('right', 'left'):
        select = chosen(opened, 'comparison', side)
        name, = (option.text for option in select.options if 'ConvDecoder' in option.text)
        select.select_by_visible_text(name)
        assert 'ConvDecoder' in opened.find_elements(By.CSS_SELECTOR, '.compare img')[
            side == 'right'].get_attribute('src')
        assert_not_distorted(opened)
        assert_nothing_of_the_other_side(opened)
        select.select_by_index(0)


def asked(driver) -> dict[str, list[str]]:
    """What stands in the address behind the question mark."""
    return parse_qs(urlsplit(driver.current_url).query, keep_blank_values=True)


def state(driver) -> tuple:
    """What is chosen, which runs are shown, and which strips are compared."""
    return driver.execute_script("""
        return [[...document.querySelectorAll('select')].map(select => select.value),
                cards.filter(card => !card.hidden).map(card => card.id),
                [...figure.children].map(image => image.src)]""")


def test_any_two_runs_with_the_same_originals_are_compared(opened):
    chosen(opened, 'comparison', 'among').select_by_visible_text('anime test images')
    sides = [chosen(opened, 'comparison', side) for side in ('left', 'right')]
    offered = [option.get_attribute('value') for option in sides[0].options]
    pair = [next(name for name in offered if name.startswith(net))
            for net in ('DenseVAE_DenseLogReg', 'VAEGAN')]
    assert not any({*pair} <= {*names} for names in compared().values())
    for side, name in zip(sides, pair, strict=True):
        side.select_by_value(name)
    strips = opened.find_elements(By.CSS_SELECTOR, '.compare img')
    for strip, name in zip(strips, pair, strict=True):
        assert strip.accessible_name.endswith(f': {name}')
        assert f'/{name}/' in strip.get_attribute('src')
    assert_not_distorted(opened)


def test_choices_stand_in_the_address(opened, url):
    assert opened.current_url == url
    before = state(opened)
    chosen(opened, 'filters', 'data').select_by_visible_text('anime')
    chosen(opened, 'filters', 'study').select_by_visible_text('Faces: nets')
    chosen(opened, 'comparison', 'among').select_by_visible_text('adult test images')
    chosen(opened, 'comparison', 'left').select_by_index(3)
    left, right = (chosen(opened, 'comparison', side).first_selected_option.get_attribute('value')
                   for side in ('left', 'right'))
    assert asked(opened) == {'data': ['anime'], 'study': ['Faces: nets'], 'left': [left],
                             'among': ['adult test images'], 'right': [right]}
    after, shared = state(opened), opened.current_url
    assert len(after[1]) == 6
    opened.refresh()
    assert state(opened) == after
    load(opened, 'about:blank')
    load(opened, shared)
    assert state(opened) == after and opened.current_url == shared
    load(opened, f'{url}?{urlencode({"right": right, "left": left})}')  # a pair alone
    assert state(opened)[2] == after[2]
    load(opened, shared)
    chosen(opened, 'comparison', 'among').select_by_index(0)
    opened.find_element(By.CSS_SELECTOR, '#filters button').click()
    ui.WebDriverWait(opened, 5).until(lambda d: d.current_url == url)
    assert state(opened) == before and opened.get_log('browser') == []


def test_back_and_forward_show_what_was_chosen_and_do_not_scroll(opened):
    opened.set_window_size(1440, 1500)  # both forms are in sight: the driver need not scroll
    opened.execute_script('scrollTo(0, 150)')
    seen = [(opened.current_url, state(opened))]
    for form, name, text in (('filters', 'data', 'MNIST'), ('filters', 'net', 'DenseVAE'),
                             ('comparison', 'among', 'anime test images')):
        chosen(opened, form, name).select_by_visible_text(text)
        seen.append((opened.current_url, state(opened)))
    assert len({address for address, _ in seen}) == 4
    for go, expected in ((opened.back, seen[-2::-1]), (opened.forward, seen[1:])):
        for address, then in expected:
            go()
            ui.WebDriverWait(opened, 5).until(lambda d, there=address: d.current_url == there)
            assert state(opened) == then
            assert opened.execute_script('return scrollY') == 150
    assert opened.get_log('browser') == []


def test_bad_values_in_the_address_are_ignored(opened, url):
    bad = {'data': 'none', 'study': '__proto__', 'among': 'constructor', 'left': 'toString',
           'right': '<b>', 'at': '9'}
    everything, nets = state(opened), 'DenseVAE'
    load(opened, f'{url}?{urlencode(bad)}&%FF=%E0%A4%A&data=MNIST&=')
    assert state(opened) == everything
    load(opened, f'{url}?{urlencode(bad | {"net": nets})}')
    assert {card.get_attribute('data-net') for card in visible(opened)} == {nets}
    digits, faces = (next(name for name in compared()[title]) for title in (
        'Digits: five seeds', 'Faces: nets'))
    load(opened, f'{url}?{urlencode({"left": digits, "right": faces})}')  # of other originals
    assert state(opened) == everything and opened.get_log('browser') == []


def test_a_link_to_a_run_keeps_the_filters(opened):
    chosen(opened, 'filters', 'data').select_by_visible_text('MNIST')
    opened.find_element(By.CSS_SELECTOR, '#table summary').click()
    opened.find_elements(By.CSS_SELECTOR, '.sorted tbody tr:not([hidden]) a')[5].click()
    shown = state(opened)
    assert asked(opened) == {'data': ['MNIST']} and urlsplit(opened.current_url).fragment
    opened.refresh()
    assert state(opened) == shown
    assert opened.find_element(By.CSS_SELECTOR, ':target').is_displayed()


@pytest.mark.parametrize('width', [360, 1440])
@pytest.mark.parametrize('kind', ['mouse', 'touch', 'pen'])
def test_dragging_the_picture_moves_the_divider(driver, url, kind, width):
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
        'width': width, 'height': 800, 'deviceScaleFactor': 1, 'mobile': width < 500})
    load(driver, url)
    figure, divider = (driver.find_element(By.CSS_SELECTOR, found)
                       for found in ('.compare', '#divider'))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    before = driver.execute_script('return [scrollX, scrollY]')
    box = driver.execute_script('return arguments[0].getBoundingClientRect().toJSON()', figure)

    def drag(*stations: tuple[float, float]) -> float:
        """Press at the first, move to the others, let go; where the divider is then."""
        builder = actions.ActionBuilder(driver, mouse=actions.PointerInput(kind, kind),
                                        duration=50)
        for i, (across, down) in enumerate(stations):
            builder.pointer_action.move_to_location(*(int(part) for part in (
                box['left'] + across * box['width'], box['top'] + down * box['height'])))
            if not i:
                builder.pointer_action.pointer_down()
        builder.pointer_action.pointer_up()
        builder.perform()
        return float(divider.get_attribute('value'))

    assert drag((0.5, 0.5), (0.7, 0.5), (0.2, 0.6)) == pytest.approx(20, abs=1)
    assert divider.get_attribute('aria-valuetext') == '20 % of the width'
    left_edge = figure.find_elements(By.TAG_NAME, 'img')[1].value_of_css_property('clip-path')
    assert float(left_edge.split()[-1].strip('%)')) == pytest.approx(20, abs=1)
    assert drag((0.3, 0.5), (0.9, 1.5)) == pytest.approx(90, abs=1)  # beside the picture, too
    assert driver.execute_script('return [scrollX, scrollY]') == before
    divider.send_keys(Keys.ARROW_LEFT * 3)
    assert float(divider.get_attribute('value')) == pytest.approx(87, abs=1)
    assert driver.get_log('browser') == []
    driver.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def test_finger_that_scrolls_over_the_picture_leaves_the_divider(opened):
    figure = opened.find_element(By.CSS_SELECTOR, '.compare')
    x, y = (int(part) + 40 for part in (figure.rect['x'], figure.rect['y']))
    for i in range(20):
        opened.execute_cdp_cmd('Input.dispatchTouchEvent', {
            'type': 'touchMove' if i else 'touchStart',
            'touchPoints': [{'x': x, 'y': y - 10 * i}]})
    opened.execute_cdp_cmd('Input.dispatchTouchEvent', {'type': 'touchEnd', 'touchPoints': []})
    ui.WebDriverWait(opened, 5).until(lambda d: d.execute_script('return scrollY') > 100)
    assert opened.find_element(By.ID, 'divider').get_attribute('value') == '50'


def column(driver, header: str) -> tuple:
    """The button above a column, its head, and a function that reads the shown cells."""
    button, = (found for found in driver.find_elements(By.CSS_SELECTOR, '.sorted button')
               if found.get_attribute('textContent') == header)
    head = button.find_element(By.XPATH, '..')
    return button, head, lambda: driver.execute_script(
        "const head = arguments[0]; return [...document.querySelectorAll('.sorted tbody tr')]"
        ".map(line => line.cells[head.cellIndex].textContent.trim())", head)


def test_table_sorts_by_click_and_by_keyboard(opened):
    opened.find_element(By.CSS_SELECTOR, '#table summary').click()
    button, head, cells = column(opened, 'squared error')
    n_runs = len(cells())
    button.click()
    assert head.get_attribute('aria-sort') == 'ascending'
    rising = [float(cell) for cell in cells() if cell]
    assert rising == sorted(rising) and len(rising) > 20 and len(cells()) == n_runs
    assert not any(cells()[len(rising):])  # runs without it are below
    button.send_keys(Keys.ENTER)
    assert head.get_attribute('aria-sort') == 'descending'
    assert [float(cell) for cell in cells() if cell] == rising[::-1]
    assert not any(cells()[len(rising):])
    by_name, name_head, names = column(opened, 'run')
    by_name.send_keys(Keys.SPACE)
    assert (head.get_attribute('aria-sort'), name_head.get_attribute('aria-sort')) == (
        None, 'ascending')
    assert opened.execute_script('return arguments[0].every((name, i, all) => '
                                 '!i || all[i - 1].localeCompare(name) <= 0)', names())


def test_table_is_filtered_with_the_cards_and_leads_to_them(opened):
    opened.find_element(By.CSS_SELECTOR, '#table summary').click()
    chosen(opened, 'filters', 'data').select_by_visible_text('MNIST')
    lines = [line for line in opened.find_elements(By.CSS_SELECTOR, '.sorted tbody tr')
             if line.is_displayed()]
    assert len(lines) == len(visible(opened))
    sections = [section.find_element(By.TAG_NAME, 'h2').text for section in
                opened.find_elements(By.CSS_SELECTOR, '.runs') if section.is_displayed()]
    assert sections and all('MNIST' in title for title in sections)
    lines[-1].find_element(By.TAG_NAME, 'a').click()
    card = opened.find_element(By.CSS_SELECTOR, ':target')
    assert card.get_attribute('data-name') == lines[-1].get_attribute('data-name')


def test_everything_has_a_name_for_those_who_do_not_see_it(opened):
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    for tag in ('select', 'input', 'img', 'button'):
        for element in opened.find_elements(By.TAG_NAME, tag):
            assert element.accessible_name, element.get_attribute('outerHTML')


@pytest.mark.parametrize('scheme, dark', [('dark', True), ('light', False)])
def test_page_is_dark_or_light_as_the_reader_likes(opened, scheme, dark):
    opened.execute_cdp_cmd('Emulation.setEmulatedMedia', {
        'features': [{'name': 'prefers-color-scheme', 'value': scheme}]})
    colour = opened.find_element(By.TAG_NAME, 'body').value_of_css_property('background-color')
    red = int(colour.split('(')[1].split(',')[0])
    assert (red < 64) == dark
