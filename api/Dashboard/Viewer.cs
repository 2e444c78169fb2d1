namespace SnapshotFlow.Api.Dashboard;

/// <summary>Who looks at a page.</summary>
/// <param name="User">The user's name.</param>
/// <param name="Project">The name of the session's project.</param>
/// <param name="Everywhere">Whether every project is seen.</param>
/// <param name="MayCreate">Whether the viewer may ask for images.</param>
/// <param name="Proof">What the session's forms carry.</param>
public sealed record Viewer(string User, string Project, bool Everywhere, bool MayCreate, string Proof);
