// Later data from the server, for as long as it answers.

const SECONDS_BETWEEN_POLLS = 2;

class Live {
  constructor(element, { onData }) {
    this.element = element;
    this.onData = onData;
    this.tag = null;
    this.say("live", "live");
    document.addEventListener("visibilitychange", () => this.poll());
    this.poll();
  }

  async poll() {
    clearTimeout(this.timer);
    // Nobody looks: the storage of the experiment need not be asked.
    if (document.hidden || this.isAsking) return;
    this.isAsking = true;
    try {
      await this.ask();
    } catch {
      this.say("lost", "connection lost");
    } finally {
      this.isAsking = false;
      this.timer = setTimeout(() => this.poll(), 1000 * SECONDS_BETWEEN_POLLS);
    }
  }

  async ask() {
    const response = await fetch("data.json", {
      cache: "no-store",
      headers: this.tag ? { "If-None-Match": this.tag } : {},
    });
    if (response.status === 304 || response.ok) {
      this.say("live", "live");
      if (response.ok) {
        this.tag = response.headers.get("ETag");
        this.onData(await response.json());
      } else this.onData(null);
      return;
    }
    this.say("lost", `no data: ${(await response.text()).trim()}`);
  }

  say(className, text) {
    this.element.className = `live-state ${className}`;
    if (this.element.textContent !== text) this.element.textContent = text;
  }
}
