using Microsoft.Extensions.Options;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity;

/// <summary>The token file of <see cref="IdentityOptions.TokenFile"/>, read again when it changes.</summary>
internal sealed partial class TokenFile
{
    private readonly string path;
    private readonly ILogger<TokenFile> logger;
    private readonly Lock gate = new();
    private Version version;
    private TokenTable table;

    public TokenFile(IOptions<IdentityOptions> options, ILogger<TokenFile> logger)
    {
        this.logger = logger;
        path = options.Value.TokenFile!;
        version = Version.Of(path);
        table = Load(path);
    }

    /// <exception cref="FormatException">It is missing, unreadable or not a token file; the message names the path.</exception>
    public static TokenTable Load(string path)
    {
        try
        {
            return TokenTable.Parse(File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new FormatException($"{path}: {e.Message}");
        }
    }

    /// <summary>The caller that a token stands for; null when it stands for nobody.</summary>
    public Caller? Find(string token) => Current().Find(token);

    private TokenTable Current()
    {
        lock (gate)
        {
            var now = Version.Of(path);
            if (now != version)
            {
                // Remembered before reading: a file that cannot be read is reported once, not for every request.
                version = now;
                try
                {
                    table = Load(path);
                    Log.Reloaded(logger, path);
                }
                catch (FormatException e)
                {
                    Log.KeptLastGood(logger, e.Message);
                }
            }

            return table;
        }
    }

    private readonly record struct Version(DateTime WrittenAt, long Length)
    {
        public static Version Of(string path) => new FileInfo(path) is { Exists: true } file ? new(file.LastWriteTimeUtc, file.Length) : default;
    }

    private static partial class Log
    {
        [LoggerMessage(200, LogLevel.Information, "Tokens read again from {Path}")]
        public static partial void Reloaded(ILogger logger, string path);

        [LoggerMessage(201, LogLevel.Error, "Identity:TokenFile changed and cannot be read, the last good content stays in force: {Reason}")]
        public static partial void KeptLastGood(ILogger logger, string reason);
    }
}
