extension PageAssets {
    /// Two palettes on one set of names; the browser chooses by the reader's system. Signs and words say what colours say.
    static let styleText = """

        :root{--bg:#f6f6f3;--card:#fff;--ink:#1c2024;--soft:#596068;--line:#e2e3dd;--deep:#f0f0eb;--accent:#1f6a66;
        --ok:#1d7548;--warn:#8a5a00;--fail:#b3261e;--none:#646b73;--shade:0 1px 2px rgb(20 24 28/.06)}
        @media(prefers-color-scheme:dark){:root{--bg:#121517;--card:#1a1e21;--ink:#e8eaeb;--soft:#a2abb3;--line:#2c3237;
        --deep:#22272b;--accent:#6cc5bf;--ok:#63c78f;--warn:#e3b04b;--fail:#ff8d84;--none:#99a2aa;--shade:none}}
        *{box-sizing:border-box}
        body{margin:0 auto;max-width:76rem;padding:1.25rem clamp(.75rem,3vw,2rem) 2rem;background:var(--bg);color:var(--ink);
        font:15px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
        h1,h2,h3,p,dl,dd,ol,ul{margin:0;padding:0}ol,ul{list-style:none}
        h1{font-size:clamp(1.15rem,3.2vw,1.6rem);line-height:1.25;letter-spacing:-.01em;overflow-wrap:anywhere}
        h2{font-size:.95rem;margin-bottom:.75rem}h3{font-size:.95rem}
        code,.log{font:.85em/1.5 ui-monospace,"DejaVu Sans Mono",monospace}code{overflow-wrap:anywhere}
        a{color:var(--accent);text-underline-offset:.15em}
        :focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
        .skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.4rem .8rem}
        .js-only{display:none!important}.js .js-only{display:flex!important}
        .quiet,.id{color:var(--soft)}
        header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;justify-content:space-between;align-items:flex-end;margin-bottom:1.25rem}
        .mark{color:var(--soft);font-size:.85rem}
        .states{display:flex;gap:.5rem;flex-wrap:wrap;align-items:center}#state{display:flex;gap:.5rem;flex-wrap:wrap;align-items:center}
        .pill{display:inline-flex;align-items:center;gap:.4rem;padding:.25rem .75rem;border-radius:2rem;border:1px solid var(--line);
        background:var(--card);font-weight:600;font-size:.9rem}.pill.quiet{font-weight:400}
        .why{font-size:.9rem;color:var(--fail);max-width:44rem;overflow-wrap:anywhere}
        .card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.15rem;box-shadow:var(--shade);min-width:0}
        main>*{margin-bottom:1rem}#notes>*{margin-bottom:1rem}#notes:empty{display:none}
        .light{width:1.15rem;height:1.15rem;flex:none;vertical-align:-.2rem;fill:none;stroke-linecap:round;stroke-linejoin:round;stroke-width:2}
        .light circle{stroke:none;fill:currentColor}.light path{stroke:var(--card)}
        .ok.light{color:var(--ok)}.warn.light{color:var(--warn)}.fail.light{color:var(--fail)}
        .none.light{color:var(--none)}.none.light circle{fill:none;stroke:currentColor;stroke-width:1.5}.none.light path{stroke:currentColor;stroke-width:1.5}
        .hops{display:grid;grid-template-columns:repeat(5,1fr)}
        .hops li{position:relative;display:flex;flex-direction:column;gap:.5rem;padding-right:1rem}
        .hops li:not(:last-child)::after{content:"";position:absolute;top:.85rem;left:2.35rem;right:.6rem;height:2px;background:var(--line)}
        .hops .light{width:1.75rem;height:1.75rem}.hops strong,.hops span{display:block}.hops span{color:var(--soft);font-size:.88rem}
        .facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(15.5rem,1fr));gap:1rem}
        dl>div{display:flex;justify-content:space-between;gap:1rem;padding:.3rem 0;border-top:1px solid var(--line)}
        dl>div:first-child{border-top:0}dt{color:var(--soft);flex:none}dd{text-align:right;min-width:0;overflow-wrap:anywhere}
        .big{font-size:1.5rem;font-weight:650;letter-spacing:-.02em;line-height:1.2;margin-bottom:.5rem}
        .life{display:block;width:100%;height:.5rem;fill:var(--deep)}.life .spent{fill:var(--ok)}
        .life.warn .spent{fill:var(--warn)}.life.fail .spent{fill:var(--fail)}
        .ends{display:flex;justify-content:space-between;color:var(--soft);font-size:.82rem;margin:.2rem 0 .5rem}
        .notes li{display:flex;gap:.7rem;padding:.6rem 0;border-top:1px solid var(--line)}.notes li:first-child{border-top:0;padding-top:0}
        .notes li>div{min-width:0;overflow-wrap:anywhere}.notes .light{margin-top:.15rem}.remedy::before{content:"→ ";color:var(--accent)}.id{font-size:.88rem}
        .bar{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;justify-content:space-between;align-items:center;margin-bottom:.6rem}
        .tools{flex-wrap:wrap;gap:.5rem 1rem;align-items:center}.tools label{display:inline-flex;gap:.4rem;align-items:center}
        input[type=search],select,button{font:inherit;color:inherit;background:var(--bg);border:1px solid var(--none);border-radius:6px;padding:.2rem .6rem}
        input[type=checkbox]{width:1.1rem;height:1.1rem;accent-color:var(--accent)}
        button{cursor:pointer}button[aria-pressed=true]{background:var(--accent);border-color:var(--accent);color:var(--card)}
        .scroll{overflow:auto;max-height:32rem;border:1px solid var(--line);border-radius:6px}
        table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;padding:.45rem .7rem;vertical-align:top}
        thead th{position:sticky;top:0;z-index:1;background:var(--deep);color:var(--soft);font-weight:600;font-size:.82rem;white-space:nowrap}
        tbody tr+tr>*{border-top:1px solid var(--line)}tbody th{font-weight:400}
        .num{text-align:right;white-space:nowrap}.key{display:block;font-weight:600}tbody th a{font-size:.82rem;white-space:nowrap}
        .verdict{white-space:nowrap}.reason{display:block;color:var(--soft);font-size:.85rem;max-width:22rem}
        .requests td:first-child{white-space:nowrap}.bad td:nth-child(4){color:var(--fail);font-weight:600}
        .spark{display:block;width:7.5rem;height:1.75rem;fill:none;stroke:var(--accent);stroke-width:1.75;stroke-linejoin:round}
        .spark .base{stroke:var(--line)}.line{display:block;font-size:.88rem}
        .spark .bad{stroke:var(--fail)}
        .log{background:var(--bg);max-height:26rem;padding:.4rem 0}.log li{padding:.05rem .7rem;overflow-wrap:anywhere;white-space:pre-wrap}
        .log .debug{color:var(--soft)}.log .warn{color:var(--warn)}.log .error{color:var(--fail);font-weight:600}
        [hidden]{display:none!important}
        footer{color:var(--soft);font-size:.85rem;display:grid;gap:.35rem}footer nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}
        @media(max-width:48rem){.wide,.mid{display:none}.hops{grid-template-columns:1fr;gap:.9rem}
        .hops li{flex-direction:row;align-items:center;padding:0}
        .hops li:not(:last-child)::after{top:2rem;left:.8rem;right:auto;width:2px;height:.9rem}
        tbody th a{white-space:normal;overflow-wrap:anywhere}th,td{padding:.45rem .5rem}.spark{width:5rem}.card{padding:.85rem .9rem}}
        @media(prefers-reduced-motion:no-preference){.js .fresh{animation:fresh 1.2s ease-out}@keyframes fresh{from{background:var(--deep)}}}

        """
}
