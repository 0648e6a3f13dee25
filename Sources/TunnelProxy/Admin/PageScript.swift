extension PageAssets {
    /// Puts parts that come by `/events` into their places, and filters what is there. It makes no markup: lines of the log
    /// become text, and parts are what the server has rendered and escaped.
    static let scriptText = #"""

        'use strict';
        (() => {
          const root = document.documentElement, $ = id => document.getElementById(id);
          root.classList.add('js');
          // The proxy's clock counts: a browser's may be minutes off.
          let skew = Date.parse(root.dataset.now) - Date.now();
          const words = s => s < 1 ? 'now' : s < 100 ? s + ' s ago' : s < 6000 ? Math.floor(s / 60) + ' min ago'
            : s < 172800 ? Math.floor(s / 3600) + ' h ago' : Math.floor(s / 86400) + ' d ago';
          const tick = () => {
            const now = Date.now() + skew;
            for (const time of document.querySelectorAll('time[data-ago]')) {
              const text = words(Math.floor((now - Date.parse(time.dateTime)) / 1000));
              if (time.textContent !== text) time.textContent = text;
            }
          };
          setInterval(tick, 1000);

          // Routes
          const find = $('find'), bad = $('bad');
          const siftRow = row => {
            const head = row.firstElementChild, text = find.value.trim().toLowerCase();
            row.hidden = bad.checked && !('bad' in head.dataset) || text !== '' && !row.textContent.toLowerCase().includes(text);
          };
          const siftRows = () => { for (const row of $('rows').rows) siftRow(row); };
          find.addEventListener('input', siftRows);
          bad.addEventListener('change', siftRows);

          const put = (id, content) => {
            const place = $(id);
            if (!place) return;
            const held = [...place.querySelectorAll('a,button,input')].indexOf(document.activeElement);
            place.innerHTML = content;
            if (held >= 0) place.querySelectorAll('a,button,input')[held]?.focus({preventScroll: true});
            if (place.parentElement === $('rows')) siftRow(place);
          };

          // The log
          const list = $('log'), box = $('logs'), level = $('level'), filter = $('filter'), pause = $('pause');
          const ranks = ['debug', 'info', 'warn', 'error'], most = 2000;
          let waiting = [], last = Number(list?.lastElementChild?.dataset.n ?? 0);
          const siftLine = line => {
            line.hidden = ranks.indexOf(line.className) < ranks.indexOf(level.value)
              || filter.value !== '' && !line.textContent.toLowerCase().includes(filter.value.toLowerCase());
          };
          const isPaused = () => pause.getAttribute('aria-pressed') === 'true';
          const show = lines => {
            const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
            for (const [number, rank, text] of lines) {
              if (number <= last) continue;
              const line = document.createElement('li');
              [line.dataset.n, line.className, line.textContent] = [number, rank, text];
              siftLine(line);
              list.append(line);
              last = number;
            }
            while (list.childElementCount > most) list.firstElementChild.remove();
            if (isAtEnd) box.scrollTop = box.scrollHeight;
          };
          if (list) {
            const sift = () => { for (const line of list.children) siftLine(line); box.scrollTop = box.scrollHeight; };
            level.addEventListener('change', sift);
            filter.addEventListener('input', sift);
            pause.addEventListener('click', () => {
              const next = !isPaused();
              pause.setAttribute('aria-pressed', String(next));
              pause.textContent = next ? 'Go on' : 'Pause';
              if (!next) { show(waiting); waiting = []; }
            });
            sift();
          }

          // What comes by itself
          const link = $('link');
          let version = root.dataset.version, source, pauseBefore = 1000;
          const open = () => {
            source = new EventSource('events?since=' + version + '&log=' + last + '&instance=' + root.dataset.instance);
            source.addEventListener('open', () => { link.textContent = 'live'; pauseBefore = 1000; });
            source.addEventListener('parts', event => {
              const news = JSON.parse(event.data);
              version = news.version;
              skew = Date.parse(news.now) - Date.now();
              for (const part of news.parts) put(part.id, part.content);
              tick();
            });
            source.addEventListener('log', event => {
              if (!list) return;
              const lines = JSON.parse(event.data);
              if (isPaused()) waiting = waiting.concat(lines).slice(-most); else show(lines);
            });
            // Other routes, or another process: the document is not the right one any more.
            source.addEventListener('anew', () => { source.close(); location.reload(); });
            source.addEventListener('error', () => {
              source.close();
              link.textContent = 'not connected, trying again';
              setTimeout(open, pauseBefore);
              pauseBefore = Math.min(pauseBefore * 2, 15000);
            });
          };
          open();
          addEventListener('pagehide', () => source.close());
          addEventListener('pageshow', event => { if (event.persisted) open(); });
        })();

        """#
}
