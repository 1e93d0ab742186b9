const form = document.querySelector("#login");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wrong = document.querySelector("#wrong");
  wrong.textContent = "";
  const given = { token: form.elements.token.value.trim() };
  const answer = await fetch("/api/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(given),
  }).catch(() => null);
  if (answer?.ok) {
    location.assign("/");
    return;
  }
  const value = await answer?.json().catch(() => null);
  wrong.textContent = value?.error?.message ?? "The platform does not answer.";
  form.elements.token.select();
});
