using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Configuration;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>The users file in force, and the check of a password.</summary>
internal sealed class UserDirectory(IOptions<IdentityOptions> options, ILogger<UserDirectory> logger)
{
    /// <summary>Checking a password costs a core for a tenth of a second on purpose: whoever guesses waits in a queue and leaves the others a core.</summary>
    private readonly SemaphoreSlim checking = new(Math.Max(1, Environment.ProcessorCount / 2));

    private readonly WatchedFile<Users> file = new(options.Value.Development.UsersFile!, Users.Load, "Identity:Development:UsersFile", logger);

    public Users Users => file.Current();

    /// <summary>Whether it is the user's password. As slow for a user that there is not, so that nobody can find out which names exist.</summary>
    public async Task<bool> CheckAsync(User? user, string password, CancellationToken ct)
    {
        await checking.WaitAsync(ct);
        try
        {
            return await Task.Run(() => (user?.Password ?? Users.Nobody).Verify(password), ct) && user is { Enabled: true };
        }
        finally
        {
            checking.Release();
        }
    }
}
