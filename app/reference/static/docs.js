// Shows the API version that ?version= names, in whichever reader this page has loaded.
const select = document.getElementById("version");
const asked = new URLSearchParams(location.search).get("version");
const known = Array.from(select.options, (option) => option.value);
select.value = known.includes(asked) ? asked : select.dataset.newest;
select.addEventListener("change", () => {
  location.search = "?version=" + select.value;
});

const url = "/api/" + select.value + "/openapi.json";
if (window.SwaggerUIBundle) {
  SwaggerUIBundle({
    url,
    dom_id: "#swagger",
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
  });
} else {
  Redoc.init(url, { hideLoading: true, nativeScrollbars: true }, document.getElementById("redoc"));
}
