"use strict";
const form = document.querySelector("form");
const said = document.getElementById("said");
const invitation = location.hash.slice(1);
history.replaceState(null, "", location.pathname); // so that it stays in no history
said.textContent = invitation ? "" : "This link is not whole: open it again as you were given it.";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = form.elements.password.value;
  if (password !== form.elements.again.value) {
    said.textContent = "These are two different passwords.";
    return;
  }
  const answer = await fetch("/session/invitation", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ invitation, password }),
  });
  const told = await answer.json();
  said.textContent = answer.ok ? "" : told.title;
  if (answer.ok) location.assign("/sign-in"); // where one sees who one is
});
