/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Written into .env.local by devrun; absent while no stack is up. */
  readonly VITE_API_URL?: string;
}
