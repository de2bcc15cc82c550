// Chromium, without a window: it opens a page, fills in every form and presses its first button.
//
//   TMPDIR=an-empty-folder .peers/node_modules/node/bin/node tests/peers/browser.mjs URL
//
// Unpacks itself into TMPDIR, which the caller removes. Prints where it has ended: {"url", "status", "headers", "text",
// "blocked", "complaints"}. `blocked` is what the pages wanted of other machines, which are not reached, and
// `complaints` are the errors in the console, such as what the policy of a page forbids the page itself.

import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// With this it also unpacks the libraries that it needs and many machines lack.
process.env.AWS_EXECUTION_ENV ??= 'AWS_Lambda_nodejs22.x';

const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const require = createRequire(path.join(ROOT, '.peers', 'package.json'));
const { default: chromium } = require('@sparticuz/chromium');
const { launch } = require('puppeteer-core');

const MOST_FORMS = 10;
const HERE = ['127.0.0.1', 'localhost'];

const executablePath = await chromium.executablePath();
// Its own list of fonts is for another folder, and without fonts there is no text.
const fonts = path.join(tmpdir(), 'fonts');
const list = `<fontconfig><dir>${fonts}</dir><cachedir>${tmpdir()}/cache</cachedir></fontconfig>`;
await writeFile(path.join(fonts, 'fonts.conf'), list);
const elsewhere = `MAP * ~NOTFOUND, ${HERE.map(host => `EXCLUDE ${host}`).join(', ')}`;
const browser = await launch({
    args: [...chromium.args, `--host-resolver-rules=${elsewhere}`],
    executablePath,
    headless: 'shell',
});
try {
    const page = await browser.newPage();
    const [blocked, complaints] = [[], []];
    page.on('console', message => {
        if (message.type() === 'error') {
            complaints.push(message.text());
        }
    });
    page.on('request', request => {
        const { hostname, href } = new URL(request.url());
        if (!HERE.includes(hostname)) {
            blocked.push(href);
        }
    });
    let answer = await page.goto(process.argv[2]);
    for (let forms = 0; await page.$('form'); forms += 1) {
        if (forms === MOST_FORMS) {
            throw new Error(`a form more than ${MOST_FORMS} times, last at ${page.url()}`);
        }
        for (const input of await page.$$('form input:not([type=hidden])')) {
            await input.type('tester');
        }
        [answer] = await Promise.all([page.waitForNavigation(), page.click('form button')]);
    }
    const text = await page.evaluate(() => document.body.innerText);
    const [status, headers] = [answer.status(), answer.headers()];
    console.log(JSON.stringify({ url: page.url(), status, headers, text, blocked, complaints }));
} finally {
    await browser.close();
}
