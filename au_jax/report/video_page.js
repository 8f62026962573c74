// A video beside its AUs: what the player shows and what the timelines mark is the same frame.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const [video, boxes, where, lines, axis] = ["video", "boxes", "where", "lines", "axis"].map(find);
  const rows = [...document.querySelectorAll("tr.au")].map((row) => ({
    row, button: row.querySelector("button"), canvas: row.querySelector("canvas"), cells: [...row.querySelectorAll(".value")],
  }));

  function decode(text, Kind) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
    return new Kind(bytes.buffer);
  }

  // Times are in tenths of milliseconds, values in thousandths; the smallest number stands for none.
  const NONE = -32768;
  const times = Float64Array.from(decode(data.times, Int32Array), (tick) => tick / 1e4);
  const numbers = decode(data.numbers, Int32Array);
  const count = times.length;
  const gaps = Array.from({ length: count - 1 }, (_, at) => times[at + 1] - times[at]).sort((a, b) => a - b);
  const usual = gaps.length ? gaps[gaps.length >> 1] : 0.04;
  const end = times[count - 1] + usual;
  const after = (frame) => (frame + 1 < count ? times[frame + 1] : end);
  const opened = new Map();
  let person = 0;
  let chosen = -1;
  let frame = 0;
  let measure = "score";
  let span = Infinity;
  let view = [times[0], end];

  // A person's numbers are unpacked when that person is looked at.
  function look(which) {
    if (!data.people.length) return null;
    if (!opened.has(which)) {
      const packed = data.people[which];
      const seen = decode(packed.rows, Int32Array);
      const row = new Int32Array(count).fill(-1);
      seen.forEach((at, index) => (row[at] = index));
      opened.set(which, {
        row, confidence: decode(packed.confidence, Uint8Array), boxes: decode(packed.boxes, Int16Array),
        score: packed.scores.map((part) => decode(part, Int16Array)),
        probability: packed.probability ? [decode(packed.probability, Int16Array)] : [],
        intensity: packed.intensity ? [decode(packed.intensity, Int16Array)] : [],
      });
    }
    return opened.get(which);
  }

  function value(which, series, au, at) {
    const row = which ? which.row[at] : -1;
    const raw = row < 0 ? NONE : series[row * data.aus.length + au];
    return raw === NONE ? NaN : raw / 1000;
  }

  const frameAt = (time) => {
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const nearest = (time) => {
    const low = frameAt(time);
    return low + 1 < count && times[low + 1] - time < time - times[low] ? low + 1 : low;
  };

  // Drawing --------------------------------------------------------------------------------------------------------------------

  const HEIGHTS = {
    score: (number) => 0.5 - 0.45 * Math.tanh(number),
    probability: (number) => 0.95 - 0.9 * number,
    intensity: (number) => 0.95 - 0.18 * number,
  };
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function sheet(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return [pen, width, height];
  }

  const place = (time, width) => ((time - view[0]) / (view[1] - view[0])) * width;

  // Stretches of frames in view of which something holds, as times.
  function stretches(holds) {
    const found = [];
    const last = frameAt(view[1]);
    for (let at = frameAt(view[0]); at <= last; at++) {
      if (!holds(at)) continue;
      const begin = times[at];
      while (at + 1 <= last && holds(at + 1)) at++;
      found.push([begin, after(at)]);
    }
    return found;
  }

  function hatch(pen, left, right, height, colour) {
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, right - left, height);
    pen.clip();
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = Math.floor(left / 6) * 6 - height; x < right; x += 6) {
      pen.moveTo(x, height);
      pen.lineTo(x + height, 0);
    }
    pen.stroke();
    pen.restore();
  }

  function curve(pen, width, height, number) {
    const [first, last] = [frameAt(view[0]), frameAt(view[1])];
    const path = new Path2D();
    if (last - first > 3 * width) {
      // More frames than pixels: from the least to the greatest of each column.
      const size = (last - first + 1) / width;
      for (let x = 0; x < width; x++) {
        let [low, high] = [Infinity, -Infinity];
        for (let at = Math.floor(first + x * size); at < Math.min(first + (x + 1) * size, last + 1); at++) {
          const y = number(at);
          if (y < low) low = y;
          if (y > high) high = y;
        }
        if (low <= high) {
          const at = place(times[Math.floor(first + x * size)], width);
          path.moveTo(at, low * height - 0.5);
          path.lineTo(at, high * height + 0.5);
        }
      }
      return path;
    }
    let down = false;
    for (let at = first; at <= last; at++) {
      const y = number(at) * height;
      if (Number.isNaN(y)) {
        down = false;
        continue;
      }
      // A value holds as long as its frame is shown.
      const [left, right] = [place(times[at], width), place(after(at), width)];
      path[down ? "lineTo" : "moveTo"]((left + right) / 2, y);
      if (!down) path.lineTo((left + right) / 2 + 0.5, y);
      down = true;
    }
    return path;
  }

  function drawRow(canvas, au) {
    const [pen, width, height] = sheet(canvas);
    const who = look(person);
    const colours = [...document.querySelectorAll("[data-system]")].map((key) => getComputedStyle(key).borderTopColor);
    const decides = colours[colours.length - 1];
    pen.fillStyle = style("--c-orange");
    pen.globalAlpha = 0.3;
    for (const [from, to] of shade.unsure) {
      pen.fillRect(place(from, width), 0, Math.max(1, place(to, width) - place(from, width)), height);
    }
    pen.globalAlpha = 1;
    for (const [from, to] of shade.nobody) {
      hatch(pen, place(from, width), Math.max(place(to, width), place(from, width) + 1), height, style("--c-missing"));
    }
    pen.strokeStyle = style("--c-grey");
    pen.lineWidth = 0.7;
    if (measure !== "intensity") {
      pen.beginPath();
      pen.moveTo(0, height / 2);
      pen.lineTo(width, height / 2);
      pen.stroke();
    }
    if (!who) return;
    const toHeight = HEIGHTS[measure];
    who[measure].forEach((series, system) => {
      const many = who[measure].length;
      pen.strokeStyle = measure === "score" ? colours[system] : decides;
      pen.lineWidth = system === many - 1 ? 1.8 : 1.1;
      pen.setLineDash(measure === "score" && data.systems[system].dashed ? [4, 2] : []);
      pen.stroke(curve(pen, width, height, (at) => toHeight(value(who, series, au, at))));
    });
    pen.setLineDash([]);
    pen.fillStyle = decides;
    for (const event of data.people[person].events) {
      if (event[0] !== au || event[2] < view[0] || event[1] > view[1]) continue;
      const left = place(event[1], width);
      pen.fillRect(left, 0, Math.max(2, place(event[2], width) - left), 5);
    }
  }

  const shade = { unsure: [], nobody: [] };

  function drawAxis() {
    const [pen, width, height] = sheet(axis);
    const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
    const length = view[1] - view[0];
    const step = steps.find((size) => (size / length) * width >= 56) || 3600;
    pen.strokeStyle = style("--c-grey");
    pen.fillStyle = style("--text");
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    for (let tick = Math.ceil(view[0] / step - 1e-6); tick * step <= view[1]; tick++) {
      const x = place(tick * step, width);
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, 6);
      pen.stroke();
      const text = clock(tick * step, step);
      const half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(Math.max(x, half), width - half), 20);
    }
    void height;
  }

  function clock(seconds, step = 0.001) {
    const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
    const whole = end >= 60;
    const [minutes, rest] = whole ? [Math.floor(seconds / 60 + 1e-9), seconds % 60] : [0, seconds];
    const short = (whole && rest < 0 ? 0 : rest).toFixed(digits);
    return whole ? `${minutes}:${short.padStart(digits ? digits + 3 : 2, "0")}` : short;
  }

  function drawAll() {
    const who = look(person);
    shade.nobody = stretches((at) => !who || who.row[at] < 0);
    shade.unsure = who ? stretches((at) => who.row[at] >= 0 && who.confidence[who.row[at]] < 100 * data.sure) : [];
    rows.forEach(({ canvas }, au) => drawRow(canvas, au));
    drawAxis();
    drawCursor();
  }

  function drawCursor() {
    const at = (times[frame] - view[0]) / (view[1] - view[0]);
    lines.style.setProperty("--at", at.toFixed(5));
    lines.classList.toggle("away", at < 0 || at > 1);
  }

  // What the chosen frame is ---------------------------------------------------------------------------------------------------

  function signed(number) {
    return Number.isNaN(number) ? "" : (number > 0 ? "+" : number < 0 ? "−" : "") + Math.abs(number).toFixed(2);
  }

  function drawFrame() {
    if (span < end - times[0]) {
      // The part that is shown turns over like a page.
      const at = (times[frame] - view[0]) / (view[1] - view[0]);
      if (at < 0 || at > 0.97) {
        const begin = Math.min(Math.max(times[frame] - 0.1 * span, times[0]), end - span);
        if (begin !== view[0]) {
          view = [begin, begin + span];
          drawAll();
        }
      }
    }
    drawCursor();
    const who = look(person);
    const row = who ? who.row[frame] : -1;
    const name = data.people.length > 1 ? `face ${data.people[person].id}, ` : "";
    const sure = row < 0 ? "no face" : `confidence ${(who.confidence[row] / 100).toFixed(2)}`;
    where.textContent = `${name}frame ${numbers[frame]}, ${clock(times[frame])}${end >= 60 ? "" : " s"}, `;
    const told = document.createElement("span");
    told.textContent = sure;
    told.classList.toggle("unsure", row < 0 || who.confidence[row] < 100 * data.sure);
    where.append(told);
    rows.forEach(({ row: line, cells }, au) => {
      const series = who ? [...who.score, ...who.probability, ...who.intensity] : [];
      const systems = data.systems.length;
      let on = false;
      cells.forEach((cell, index) => {
        const number = series[index] ? value(who, series[index], au, frame) : NaN;
        cell.textContent = index < systems ? signed(number) : Number.isNaN(number) ? "" : number.toFixed(2);
        if (index === systems - 1) on = number > 0;
      });
      line.classList.toggle("on", on);
    });
    drawBoxes();
    axis.setAttribute("aria-valuenow", frame + 1);
    axis.setAttribute("aria-valuetext", where.textContent);
    const now = times[frame] + 1e-4;
    for (const event of listed) {
      const lit = event.from <= now && now < event.to;
      if (lit !== event.lit) event.line.classList.toggle("now", (event.lit = lit));
    }
  }

  // A browser lays out so many rows in no time.
  const MOST = 500;
  let listed = [];
  const SVG = "http://www.w3.org/2000/svg";

  function drawBoxes() {
    boxes.replaceChildren();
    if (find("frames").getAttribute("aria-pressed") !== "true") return;
    const [, , width, height] = boxes.getAttribute("viewBox").split(" ").map(Number);
    data.people.forEach((packed, which) => {
      // Who never comes near this frame is not unpacked for it.
      if (which !== person && (frame < packed.first || frame > packed.last)) return;
      const who = look(which);
      const row = who.row[frame];
      if (row < 0) return;
      const [x, y, wide, tall] = who.boxes.subarray(4 * row, 4 * row + 4);
      const group = document.createElementNS(SVG, "g");
      if (which === person) group.classList.add("chosen");
      for (let time = 0; time < 2; time++) {
        const box = document.createElementNS(SVG, "rect");
        for (const [key, size] of Object.entries({ x, y, width: wide, height: tall })) box.setAttribute(key, size);
        group.append(box);
      }
      if (data.people.length > 1) {
        // Beside the box, never on the face.
        const text = document.createElementNS(SVG, "text");
        const size = Math.max(height / 26, 9);
        text.setAttribute("font-size", size);
        text.setAttribute("x", Math.max(2, Math.min(x, width - 4 * size)));
        text.setAttribute("y", y > 1.4 * size ? y - 0.35 * size : y + tall + 1.1 * size);
        text.textContent = `face ${packed.id}`;
        group.append(text);
      }
      boxes.append(group);
    });
  }

  function listEvents() {
    const body = find("events");
    body.replaceChildren();
    listed = [];
    const events = data.people.length ? data.people[person].events.filter((event) => chosen < 0 || event[0] === chosen) : [];
    for (const [au, from, to, probability] of events.slice(0, MOST)) {
      const line = body.insertRow();
      listed.push({ line, from, to, lit: false });
      const head = document.createElement("th");
      head.scope = "row";
      const jump = document.createElement("button");
      jump.type = "button";
      jump.textContent = `AU ${data.aus[au]}`;
      jump.addEventListener("click", () => seek(nearest(from)));
      head.append(jump);
      line.append(head);
      for (const text of [clock(from), clock(to), (to - from).toFixed(2), probability ?? ""]) line.insertCell().textContent = text;
    }
    const what = chosen < 0 ? "all AUs" : `AU ${data.aus[chosen]}`;
    const whose = data.people.length > 1 ? `, face ${data.people[person].id}` : "";
    const part = events.length > MOST ? ` (the first ${MOST} are listed)` : "";
    find("events-words").textContent =
      `${events.length} event${events.length === 1 ? "" : "s"} of ${what}${whose}${part}; N and P jump to the next and the one before. ${data.rules}`;
  }

  // Moving ---------------------------------------------------------------------------------------------------------------------

  let broken = false;
  let target = null;

  function seek(to) {
    frame = Math.min(Math.max(to, 0), count - 1);
    if (!broken) {
      // The middle of the frame's time: no rounding leads to its neighbours.
      target = data.offset + (times[frame] + Math.min(after(frame), times[frame] + usual)) / 2;
      video.currentTime = target;
    }
    drawFrame();
  }

  function shown(time) {
    const at = nearest(time - data.offset);
    if (target !== null || at === frame) return;
    frame = at;
    drawFrame();
  }

  video.addEventListener("seeked", () => {
    if (target !== null && Math.abs(video.currentTime - target) < 1e-3) target = null;
  });
  if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
    const follow = (_, about) => {
      if (!video.paused) shown(about.mediaTime);
      video.requestVideoFrameCallback(follow);
    };
    video.requestVideoFrameCallback(follow);
  } else {
    const follow = () => {
      if (!video.paused) shown(times[frameAt(video.currentTime - data.offset + 1e-4)] + data.offset);
      requestAnimationFrame(follow);
    };
    requestAnimationFrame(follow);
  }
  const told = () => (find("play").textContent = video.paused ? "Play" : "Pause");
  for (const kind of ["play", "pause", "ended"]) video.addEventListener(kind, told);
  video.addEventListener("ended", () => ((frame = count - 1), drawFrame()));
  video.addEventListener("pause", () => {
    // It stands on the frame that is marked, whatever came between.
    if (!video.ended) seek(frame);
  });
  video.addEventListener("error", () => {
    broken = true;
    find("broken").hidden = false;
    find("play").disabled = true;
  });

  function play() {
    if (broken) return;
    if (!video.paused) video.pause();
    else {
      target = null;
      if (frame === count - 1) seek(0);
      target = null;
      video.play().catch(() => {});
    }
  }

  function jump(way) {
    if (!data.people.length) return;
    const starts = data.people[person].events.filter((event) => chosen < 0 || event[0] === chosen).map((event) => nearest(event[1]));
    const next = way > 0 ? starts.filter((at) => at > frame) : starts.filter((at) => at < frame);
    if (next.length) seek(way > 0 ? Math.min(...next) : Math.max(...next));
  }

  function choose(au) {
    chosen = au;
    rows.forEach(({ row, button }, index) => {
      row.classList.toggle("chosen", index === au);
      button.setAttribute("aria-pressed", String(index === au));
    });
    listEvents();
    drawFrame();
  }

  function meet(which) {
    if (!data.people.length) return;
    person = (which + data.people.length) % data.people.length;
    if (find("person")) find("person").value = person;
    // Somebody who is not there now is shown where that person is.
    const packed = data.people[person];
    if (frame < packed.first || frame > packed.last) seek(packed.first);
    listEvents();
    drawAll();
    drawFrame();
  }

  function show(length) {
    span = length;
    find("span").value = String(length);
    const begin = Number.isFinite(span) ? Math.min(Math.max(times[frame] - span / 2, times[0]), Math.max(end - span, times[0])) : times[0];
    view = [begin, Number.isFinite(span) ? Math.min(begin + span, end) : end];
    drawAll();
    drawFrame();
  }

  const spans = [Infinity, 600, 120, 30, 10, 3].filter((length) => length < end - times[0] || length === Infinity);
  for (const length of spans) {
    const words = length === Infinity ? "all" : length >= 60 ? `${length / 60} min` : `${length} s`;
    find("span").add(new Option(words, String(length)));
  }
  find("span").addEventListener("change", (event) => show(Number(event.target.value)));
  find("speed").addEventListener("change", (event) => (video.playbackRate = Number(event.target.value)));
  find("play").addEventListener("click", play);
  find("back").addEventListener("click", () => (video.pause(), seek(frame - 1)));
  find("on").addEventListener("click", () => (video.pause(), seek(frame + 1)));
  find("earlier").addEventListener("click", () => jump(-1));
  find("later").addEventListener("click", () => jump(1));
  const toggleBoxes = () => {
    const on = find("frames").getAttribute("aria-pressed") === "true";
    find("frames").setAttribute("aria-pressed", String(!on));
    drawBoxes();
  };
  find("frames").addEventListener("click", toggleBoxes);
  find("person")?.addEventListener("change", (event) => meet(Number(event.target.value)));
  find("measure")?.addEventListener("change", (event) => {
    measure = event.target.value;
    for (const key of document.querySelectorAll(".measure")) key.hidden = !key.classList.contains(measure);
    drawAll();
  });
  rows.forEach(({ button }, au) => button.addEventListener("click", () => choose(chosen === au ? -1 : au)));
  for (const canvas of [...rows.map((row) => row.canvas), axis]) {
    const point = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = canvas.getBoundingClientRect();
      seek(frameAt(view[0] + ((event.clientX - box.left) / box.width) * (view[1] - view[0])));
    };
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointermove", point);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
    const second = () => nearest(times[frame] + (event.key === "ArrowRight" ? 1 : -1));
    const move = (to) => {
      video.pause();
      seek(to);
    };
    const keys = {
      " ": play, k: play,
      ArrowLeft: () => move(event.shiftKey ? Math.min(second(), frame - 1) : frame - 1),
      ArrowRight: () => move(event.shiftKey ? Math.max(second(), frame + 1) : frame + 1),
      ArrowUp: () => choose(Math.max(chosen - 1, 0)),
      ArrowDown: () => choose(Math.min(chosen + 1, rows.length - 1)),
      Escape: () => choose(-1),
      n: () => jump(1), p: () => jump(-1),
      f: () => meet(person + (event.shiftKey ? -1 : 1)),
      "+": () => show(spans[Math.min(spans.indexOf(span) + 1, spans.length - 1)]),
      "-": () => show(spans[Math.max(spans.indexOf(span) - 1, 0)]),
      Home: () => move(0), End: () => move(count - 1),
      b: toggleBoxes, m: () => (video.muted = !video.muted),
    };
    keys["="] = keys["+"];
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    // A button that has the focus is pressed by the space bar; a list of its own scrolls by the arrows.
    if (!act || (event.key === " " && event.target.closest("button, summary"))) return;
    if (event.key.startsWith("Arrow") && !event.key.match(/Left|Right/) && event.target.closest(".events")) return;
    event.preventDefault();
    act();
  });

  const bytes = find("bytes");
  if (bytes) {
    const raw = decode(bytes.textContent.trim(), Uint8Array);
    bytes.remove();
    video.src = URL.createObjectURL(new Blob([raw], { type: bytes.dataset.type }));
  }
  axis.setAttribute("aria-valuemax", count);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  find("watch").hidden = false;
  new ResizeObserver(drawAll).observe(lines);
  listEvents();
  drawAll();
  seek(0);
})();
