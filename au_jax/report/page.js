// The viewer of test videos: a slider over frames with the picture, the truth, and every system's score.
"use strict";
(() => {
  const viewer = document.getElementById("viewer");
  const { videos } = JSON.parse(document.getElementById("viewer-data").textContent);
  const [choice, slider, play] = ["video-choice", "frame-slider", "play"].map((id) => document.getElementById(id));
  const rows = [...viewer.querySelectorAll("tbody tr")].map((row) => ({
    plot: row.querySelector("svg"),
    truth: row.querySelector(".truth"),
    scores: [...row.querySelectorAll(".score")],
  }));
  const picture = document.createElement("img");
  viewer.querySelector(".face").prepend(picture);
  const WORDS = { "+": "present", "-": "absent", "?": "no label" };
  const PER_SECOND = 8;
  let video;
  let timer = 0;

  // A row's height is 2, its zero line at 1; a frame is 1 wide.
  function bars(truth, code) {
    let path = "";
    for (const run of truth.matchAll(code === "+" ? /\++/g : /\?+/g)) {
      path += `M${run.index} 0h${run[0].length}v2h${-run[0].length}z`;
    }
    return path;
  }

  function line(scores, scale) {
    const height = (score) => (1 - 0.9 * Math.max(-1, Math.min(1, score / scale))).toFixed(3);
    return scores.map((score, row) => `${row ? "L" : "M"}${row + 0.5} ${height(score)}`).join("");
  }

  function figure(score) {
    const size = Math.abs(score);
    return (score > 0 ? "+" : score < 0 ? "−" : "") + (size < 100 ? size.toPrecision(2) : size.toFixed(0));
  }

  function drawVideo() {
    video = videos[choice.value];
    slider.max = video.stops.length - 1;
    slider.value = 0;
    rows.forEach(({ plot }, au) => {
      plot.setAttribute("viewBox", `0 0 ${video.frames.length} 2`);
      plot.querySelector(".present").setAttribute("d", bars(video.truth[au], "+"));
      plot.querySelector(".missing").setAttribute("d", bars(video.truth[au], "?"));
      plot.querySelector(".zero").setAttribute("d", `M0 1H${video.frames.length}`);
      plot.querySelectorAll(".system").forEach((path, system) => {
        path.setAttribute("d", line(video.scores[system][au], video.scale[system]));
      });
    });
    drawFrame();
  }

  function drawFrame() {
    const stop = Number(slider.value);
    const frame = video.stops[stop];
    const name = `frame ${video.frames[frame]}`;
    picture.src = `data:image/jpeg;base64,${video.pictures[stop]}`;
    picture.alt = `The face in ${name} of test video ${video.key}`;
    slider.setAttribute("aria-valuetext", `${name}, to ${video.frames.at(-1)}`);
    viewer.querySelector(".where").textContent = `${video.key}, ${name}`;
    rows.forEach(({ plot, truth, scores }, au) => {
      plot.querySelector(".cursor").setAttribute("d", `M${frame + 0.5} 0V2`);
      const code = video.truth[au][frame];
      truth.textContent = WORDS[code];
      truth.classList.toggle("on", code === "+");
      scores.forEach((cell, system) => {
        const score = video.scores[system][au][frame];
        const right = code === "?" ? "" : (score > 0) === (code === "+") ? "right" : "wrong";
        cell.className = `score ${right}`;
        cell.firstElementChild.textContent = figure(score);
        cell.lastElementChild.textContent = { right: "✓", wrong: "✗", "": "" }[right];
      });
    });
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function start() {
    if (Number(slider.value) === Number(slider.max)) slider.value = 0;
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      drawFrame();
      if (Number(slider.value) === Number(slider.max)) stop();
    }, 1000 / PER_SECOND);
    play.textContent = "Pause";
    drawFrame();
  }

  function jump(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = event.currentTarget.getBoundingClientRect();
    const frame = ((event.clientX - box.left) / box.width) * video.frames.length - 0.5;
    const far = (stop) => Math.abs(video.stops[stop] - frame);
    slider.value = video.stops.reduce((best, _, stop) => (far(stop) < far(best) ? stop : best), 0);
    drawFrame();
  }

  choice.addEventListener("change", () => (stop(), drawVideo()));
  slider.addEventListener("input", () => (stop(), drawFrame()));
  play.addEventListener("click", () => (timer ? stop() : start()));
  for (const { plot } of rows) {
    plot.addEventListener("pointerdown", (event) => (stop(), jump(event)));
    plot.addEventListener("pointermove", jump);
  }
  drawVideo();
  viewer.hidden = false;
})();
