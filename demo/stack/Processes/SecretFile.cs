using System.Text;

namespace SnapshotFlow.Stack.Processes;

/// <summary>Writes files that only their owner may read, from their first byte on.</summary>
internal static class SecretFile
{
    /// <summary>Writes or replaces.</summary>
    public static async Task WriteAsync(string path, string text, CancellationToken ct)
    {
        File.Delete(path);
        await using var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        await file.WriteAsync(Encoding.UTF8.GetBytes(text), ct);
    }
}
