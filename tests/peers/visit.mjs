// A browser without a screen: it keeps cookies, goes where it is sent, and fills in and sends off every form.
//
//   .peers/node_modules/node/bin/node tests/peers/visit.mjs URL
//
// Prints where it has ended: {"url", "status", "text"}.

const MOST_STEPS = 20;

const cookies = new Map();
let [url, body] = [process.argv[2], undefined];
for (let step = 0; step < MOST_STEPS; step += 1) {
    const page = await open(url, body);
    const text = await page.text();
    const to = page.headers.get('location');
    if (to) {
        [url, body] = [new URL(to, url).href, undefined];
        continue;
    }
    const form = /<form[^>]*action="([^"]*)"[^>]*>(.*?)<\/form>/s.exec(text);
    if (!form || page.status !== 200) {
        console.log(JSON.stringify({ url, status: page.status, text }));
        process.exit();
    }
    [url, body] = [new URL(form[1].replaceAll('&amp;', '&'), url).href, fill(form[0])];
}
throw new Error(`sent in circles, last to ${url}`);

async function open(url, body) {
    const { hostname } = new URL(url);
    if (!['127.0.0.1', 'localhost'].includes(hostname)) {
        throw new Error(`sent away from this machine: ${url}`);
    }
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const method = body ? 'POST' : 'GET';
    const page = await fetch(url, { method, body, headers: { cookie }, redirect: 'manual' });
    for (const line of page.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (value) {
            cookies.set(name, value);
        } else {
            cookies.delete(name);
        }
    }
    return page;
}

/** The fields of a form. What is not filled in yet gets `tester`. */
function fill(form) {
    const fields = new URLSearchParams();
    for (const [input] of form.matchAll(/<input[^>]*>/g)) {
        const attribute = name => new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1];
        if (attribute('name')) {
            fields.set(attribute('name'), attribute('value') || 'tester');
        }
    }
    return fields;
}
