namespace SnapshotFlow.Api.Configuration;

/// <summary>What a file says, read again when the file changes. A change that cannot be read is logged once, and the last good content stays in force.</summary>
/// <param name="path">The file.</param>
/// <param name="read">Reads it. <see cref="FormatException"/> when it cannot be used.</param>
/// <param name="key">The configuration key that names the file, for the log.</param>
/// <param name="logger">Told of every change.</param>
internal sealed partial class WatchedFile<T>(string path, Func<string, T> read, string key, ILogger logger) where T : class
{
    private readonly Lock gate = new();
    private Version version;
    private T? content;

    /// <summary>The content.</summary>
    /// <exception cref="FormatException">It cannot be read, and never could.</exception>
    public T Current()
    {
        lock (gate)
        {
            var now = Version.Of(path);
            if (content is null)
            {
                content = read(path);
                version = now;
            }
            else if (now != version)
            {
                // Remembered before reading: a file that cannot be read is reported once, not for every request.
                version = now;
                try
                {
                    content = read(path);
                    Log.Reloaded(logger, key, path);
                }
                catch (FormatException e)
                {
                    Log.KeptLastGood(logger, key, e.Message);
                }
            }

            return content;
        }
    }

    private readonly record struct Version(DateTime WrittenAt, long Length)
    {
        public static Version Of(string path) => new FileInfo(path) is { Exists: true } file ? new(file.LastWriteTimeUtc, file.Length) : default;
    }

    private static partial class Log
    {
        [LoggerMessage(200, LogLevel.Information, "{Key} read again from {Path}")]
        public static partial void Reloaded(ILogger logger, string key, string path);

        [LoggerMessage(201, LogLevel.Error, "{Key} changed and cannot be read, the last good content stays in force: {Reason}")]
        public static partial void KeptLastGood(ILogger logger, string key, string reason);
    }
}
