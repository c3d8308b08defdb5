// The recommended rules of eslint and typescript-eslint, as a user has them.
import js from "@eslint/js";
import typescript from "typescript-eslint";

export default typescript.config(js.configs.recommended, ...typescript.configs.recommended);
