export function Logo() {
  return (
    <span className="logo">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M6 9h20v3.2H6zM9 14.4h14v3.2H9zM12 19.8h8V23h-8z" />
      </svg>
      Stepwell
    </span>
  );
}
