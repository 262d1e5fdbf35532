import {ask, makeInto} from "./making.js";
import {openScene} from "./scene.js";

const root = document.getElementById("made"), path = root.dataset.post;

makeInto(root, () => ask(path, {method: "POST"}), () => ask(path), ({scene}) => openScene(root.querySelector(".viewer"), scene));
